"""The scikit-learn contract as scikit-learn checks it, without a list of exceptions."""

import inspect
from pathlib import Path

import pytest
from conftest import ESTIMATORS
from sklearn.base import clone
from sklearn.utils._param_validation import InvalidParameterError, StrOptions
from sklearn.utils.estimator_checks import parametrize_with_checks

import skcae
from skcae import ConditionalConvVAE, ConvAutoencoder, ConvVAE, DenoisingConvAutoencoder

# Each with all its defaults, but for the number of epochs; and where the code takes other ways.
VARIANTS = [
    ConvAutoencoder(max_epochs=1),
    DenoisingConvAutoencoder(max_epochs=1),
    ConvAutoencoder(
        n_components=3,
        hidden_channels=(),
        hidden_units=(8,),
        activation="tanh",
        loss="absolute_error",
        optimizer="sgd",
        lr_schedule="cosine",
        early_stopping=True,
        contamination=0.1,
        max_epochs=1,
    ),
    ConvAutoencoder(
        n_components=None,
        hidden_channels=(4, 4),
        kernel_size=(5, 3),
        normalization="group",
        net_params={
            "module__downsampling": "avg_pool",
            "module__upsampling": "bilinear",
            "module__tied_weights": True,
        },
        optimizer="rmsprop",
        contamination=0.1,
        max_epochs=1,
        precision="bfloat16",
    ),
    DenoisingConvAutoencoder(
        n_components=2,
        hidden_channels=(4,),
        normalization=None,
        net_params={"module__downsampling": "max_pool", "module__upsampling": "nearest"},
        corruption="masking",
        noise_level=0.2,
        optimizer="adam",
        lr_schedule="constant",
        contamination=0.2,
        max_epochs=1,
    ),
    DenoisingConvAutoencoder(
        hidden_channels=(4, 4),
        corruption="salt_and_pepper",
        noise_level=0.1,
        clip_range=(-1, 1),
        net_params={"optimizer__weight_decay": 0.1},
        contamination=0.1,
        max_epochs=1,
    ),
    ConvVAE(max_epochs=1),
    ConditionalConvVAE(max_epochs=1),
    ConvVAE(
        n_components=2,
        hidden_channels=(4,),
        hidden_units=(8,),
        prior="gaussian_mixture",
        n_train_samples=3,
        n_importance_samples=2,
        beta=0.5,
        net_params={"kl_warmup": 0.3},
        early_stopping=True,
        contamination=0.1,
        max_epochs=1,
    ),
    ConditionalConvVAE(
        n_components=None,
        hidden_channels=(4, 4),
        condition="decoder",
        net_params={"free_bits": 0.1},
        n_importance_samples=1,
        contamination=0.2,
        max_epochs=1,
    ),
]


@parametrize_with_checks(VARIANTS)
# The checks' data have as few as one feature, where the default code is larger than the input.
@pytest.mark.filterwarnings("ignore:the code of .* values is larger:UserWarning")
@pytest.mark.filterwarnings("ignore:rows of .* features are taken as signals:UserWarning")
# One check has data far from zero, and a corruption that sets values to it.
@pytest.mark.filterwarnings("ignore:training diverged")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_shared_parameters_have_the_same_defaults_everywhere():
    first, *others = (inspect.signature(cls).parameters for cls in ESTIMATORS)
    for other in others:
        for name, parameter in first.items():
            if name not in other:
                assert name == "loss"
                continue
            if name != "anomaly_score":  # that of a VAE is its likelihood
                assert other[name].default == parameter.default, name


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_parameter_is_documented_and_constrained(cls):
    names = set(inspect.signature(cls).parameters)
    assert set(cls._parameter_constraints) == names
    for name in names:
        assert f"\n    {name} : " in cls.__doc__, name
    assert not any(f"{{{text}}}" in cls.__doc__ for text in ("parameters", "attributes"))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_option_is_named_in_the_docstring_and_in_the_error(cls):
    for name, constraints in cls._parameter_constraints.items():
        options = {
            option
            for constraint in constraints
            if isinstance(constraint, StrOptions)
            for option in constraint.options
        }
        if not options:
            continue
        for option in options:
            assert f'"{option}"' in cls.__doc__, (name, option)
        with pytest.raises(InvalidParameterError) as error:
            cls(**{name: "no such option"}).fit([[0.0, 1.0], [1.0, 0.0]])
        assert all(repr(option) in str(error.value) for option in options), name


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_docstrings_follow_numpydoc(cls):
    from numpydoc.validate import validate

    # Left out: line breaks and order of sections that scikit-learn does not keep either.
    ignored = {
        "GL01",
        "GL02",
        "GL03",
        "GL08",
        "ES01",
        "SA01",
        "SA04",
        "EX01",
        "PR02",
        "RT02",
        "RT03",
    }
    public = [
        n for n in dir(cls) if not n.startswith("_") and n in set(vars(cls)) | _base_names(cls)
    ]
    for name in ["", *public]:
        path = f"skcae.{cls.__name__}" + (f".{name}" if name else "")
        found = validate(path)["errors"]
        errors = [e for e in found if e[0] not in ignored]
        assert not errors, (path, errors)


def _base_names(cls):
    """Methods of our own, not those inherited from scikit-learn."""
    bases = [base for base in cls.__mro__[1:] if base.__module__.startswith("skcae")]
    return {n for base in bases for n, v in vars(base).items() if inspect.isfunction(v)}


def test_documented_defaults_are_the_defaults():
    for cls in ESTIMATORS:
        signature = inspect.signature(cls).parameters
        for line in cls.__doc__.splitlines():
            name, _, rest = line.strip().partition(" : ")
            if name in signature and "default=" in rest:
                shown = rest.rsplit("default=", 1)[1]
                assert eval(shown) == signature[name].default, name


def test_every_estimator_is_checked_and_in_the_reference():
    names = {cls.__name__ for cls in ESTIMATORS}
    assert names == {type(estimator).__name__ for estimator in VARIANTS}
    page = (Path(__file__).parents[1] / "docs" / "api.rst").read_text().split()
    assert names <= set(page)


def test_clone_gives_the_same_parameters():
    for estimator in VARIANTS:
        assert clone(estimator).get_params() == estimator.get_params()


def test_public_names():
    estimators = {cls.__name__ for cls in ESTIMATORS}
    assert set(skcae.__all__) == {*estimators, "__version__", "export_onnx", "load", "save"}
