"""The bridge to scikit-learn's own callbacks, which came with its version 1.9."""

from ._training import StopTraining

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9 has no callbacks

    class CallbackSupportMixin:
        """Stands in where scikit-learn has no callbacks."""

    def with_callbacks(method):
        return method


class CallbackBridge:
    """Runs scikit-learn's callbacks, one task an epoch."""

    def __init__(self, estimator, X, y):
        self.estimator, self.data = estimator, {"X": X, "y": y}
        self.context = estimator._init_callback_context(max_subtasks=estimator.max_epochs)
        self.context.call_on_fit_task_begin(estimator=estimator, **self.data)
        self.attributes = dict

    def begin_epoch(self, net):
        self.epoch = self.context.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end_epoch(self, net):
        if self.epoch.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=self.attributes, **self.data
        ):
            raise StopTraining

    def end_training(self, net):
        self.context.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=self.attributes, **self.data
        )
