"""Whether programs that write and log models take the estimators: a line for each.

What is not installed is skipped. Run::

    python benchmarks/interop.py
"""

import tempfile
import traceback
import warnings
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_digits

from skcae import ConvAutoencoder

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


def run_mlflow(folder):
    import mlflow.sklearn
    from skops import io

    mlflow.set_tracking_uri((folder / "runs").as_uri())
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

    mlflow.set_tracking_uri((folder / "runs").as_uri())
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


PARTS = {
    "joblib": run_joblib,
    "skops": run_skops,
    "safetensors": run_safetensors,
    "mlflow.sklearn": run_mlflow,
    "skorch MlflowLogger": run_mlflow_logger,
    "skorch TensorBoard": run_tensorboard,
    "torch.onnx": run_onnx,
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
    main()
