"""Whether other programs take the estimators: those that write and log models, and PyOD.

A line for each; what is not installed is skipped. Run::

    python benchmarks/interop.py

``--pyod FILE`` runs a file of PyOD's own tests of its autoencoder, of a copy of its source, with
the adapter below in its place, of both plain estimators::

    python benchmarks/interop.py --pyod pyod/test/test_auto_encoder.py
"""

import argparse
import runpy
import tempfile
import traceback
import unittest
import warnings
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_digits

from skcae import ConvAutoencoder, DenoisingConvAutoencoder

X = load_digits().images[:300].astype(np.float32)


def fit(**parameters):
    return ConvAutoencoder(8, max_epochs=2, random_state=0, **parameters).fit(X)


def compare(loaded, ae):
    """The largest difference between the scores of two estimators."""
    return (
        f"scores differ by at most {np.abs(loaded.score_samples(X) - ae.score_samples(X)).max()}"
    )


def run_joblib(folder):
    ae = fit()
    joblib.dump(ae, folder / "ae.joblib")
    loaded = joblib.load(folder / "ae.joblib")
    return f"{compare(loaded, ae)}; equal hashes: {joblib.hash(loaded) == joblib.hash(ae)}"


def run_skops(folder):
    from skops import io

    ae = fit()
    io.dump(ae, folder / "ae.skops")
    types = io.get_untrusted_types(file=folder / "ae.skops")
    loaded = io.load(folder / "ae.skops", trusted=types)
    others = [name for name in types if not name.startswith("skcae.")]
    return f"{compare(loaded, ae)}; types to trust beside ours: {', '.join(others)}"


def run_safetensors(folder):
    import safetensors.numpy
    import safetensors.torch

    module, path = fit().net_.module_, folder / "ae.safetensors"
    safetensors.torch.save_file(module.state_dict(), path)
    arrays = {name: value.numpy() for name, value in module.state_dict().items()}
    safetensors.numpy.save_file(arrays, folder / "arrays.safetensors")
    for file in (path, folder / "arrays.safetensors"):
        loaded = safetensors.torch.load_file(file)
        assert all((loaded[name] == v).all() for name, v in module.state_dict().items()), file
    return "weights are equal, of torch and of NumPy"


def track(mlflow, folder):
    """Have runs, and what they write, in a folder; the store is one that any version takes."""
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    place = (folder / "runs").as_uri()
    mlflow.set_experiment(experiment_id=mlflow.create_experiment(folder.name, place))


def run_mlflow(folder):
    import mlflow.sklearn
    from skops import io

    track(mlflow, folder)
    mlflow.sklearn.autolog(log_models=False)
    with mlflow.start_run() as run:
        ae = fit()
        types = io.get_untrusted_types(data=io.dumps(ae))
        info = mlflow.sklearn.log_model(
            ae, name="ae", serialization_format="skops", skops_trusted_types=types
        )
    mlflow.sklearn.autolog(disable=True)
    logged = set(mlflow.get_run(run.info.run_id).data.params)
    others = logged - set(ae.get_params())
    loaded = mlflow.sklearn.load_model(info.model_uri)
    return f"{compare(loaded, ae)}; logged {len(logged)} parameters, {len(others)} not ours"


def run_mlflow_logger(folder):
    import mlflow
    from skorch.callbacks import MlflowLogger

    track(mlflow, folder)
    with mlflow.start_run() as run:
        fit(net_params={"callbacks": [MlflowLogger()]})
    return f"logged {sorted(mlflow.get_run(run.info.run_id).data.metrics)}"


def run_tensorboard(folder):
    from skorch.callbacks import TensorBoard
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(folder / "runs")
    fit(net_params={"callbacks": [TensorBoard(writer)]})
    return f"wrote {len(list((folder / 'runs').iterdir()))} file"


def run_onnx(folder):
    import onnx
    import torch
    from onnx.reference import ReferenceEvaluator

    net = fit().net_
    x = net.standardize(X[:4].reshape(4, -1)).contiguous()
    module = net.module_
    module.forward = module.encode
    program = torch.onnx.export(module, (x,), dynamo=True, verbose=False)
    program.save(folder / "encoder.onnx")
    model = ReferenceEvaluator(onnx.load(folder / "encoder.onnx"))
    codes = model.run(None, {model.input_names[0]: x.numpy()})[0]
    return f"codes differ by at most {np.abs(codes - net.encode(X[:4].reshape(4, -1))).max():.1e}"


def make_adapter(cls=ConvAutoencoder):
    """A detector of PyOD's, whose scores are those of an estimator of ours."""
    from pyod.models.base import BaseDetector
    from sklearn.base import clone

    class Adapter(BaseDetector):
        def __init__(self, estimator=None, contamination=0.1, epoch_num=20):
            super().__init__(contamination=contamination)
            self.estimator = estimator
            self.epoch_num = epoch_num

        def fit(self, X, y=None):
            own = cls(random_state=0, max_epochs=self.epoch_num)
            self._set_n_classes(y)
            self.model = clone(self.estimator or own).fit(X)
            self.decision_scores_ = self.decision_function(X)
            self._process_decision_scores()
            return self

        def decision_function(self, X):
            return -self.model.score_samples(X)

    return Adapter


def run_pyod(folder):
    data = np.concatenate([X, X[:30, ::-1]]).reshape(-1, 64)
    detector = make_adapter()(ConvAutoencoder(8, max_epochs=5, random_state=0)).fit(data)
    labels, confidence = detector.predict(data, return_confidence=True)
    assert (labels == detector.labels_).all()
    assert labels.sum() == round(detector.contamination * len(data))
    assert np.all((confidence >= 0) & (confidence <= 1))
    return f"labels, and confidences of {confidence.mean():.2f} in the mean, are of its scores"


def run_pyod_tests(path, cls):
    import pyod.models.auto_encoder

    pyod.models.auto_encoder.AutoEncoder = make_adapter(cls)
    tests = [c for c in runpy.run_path(path).values() if isinstance(c, type)]
    suites = [
        unittest.defaultTestLoader.loadTestsFromTestCase(c)
        for c in tests
        if issubclass(c, unittest.TestCase)
    ]
    unittest.TextTestRunner(verbosity=2).run(unittest.TestSuite(suites))


PARTS = {
    "joblib": run_joblib,
    "skops": run_skops,
    "safetensors": run_safetensors,
    "mlflow.sklearn": run_mlflow,
    "skorch MlflowLogger": run_mlflow_logger,
    "skorch TensorBoard": run_tensorboard,
    "torch.onnx": run_onnx,
    "PyOD": run_pyod,
}


def main():
    warnings.simplefilter("ignore")  # of the other programs
    for name, part in PARTS.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                print(f"{name}: {part(Path(folder))}", flush=True)
            except ImportError as error:
                print(f"{name}: skipped, {error}", flush=True)
            except Exception:
                print(f"{name}: FAILED\n{traceback.format_exc()}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pyod", metavar="FILE")
    arguments = parser.parse_args()
    if arguments.pyod:
        for cls in ConvAutoencoder, DenoisingConvAutoencoder:
            run_pyod_tests(arguments.pyod, cls)
    else:
        main()
