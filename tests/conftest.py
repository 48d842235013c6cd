"""Fixtures of the whole suite, and the settings under which it runs."""

import gc
import importlib
import os
import shutil
import signal
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

# Before jax is imported: 8 virtual devices for the sharding tests, and no accelerator. Most of the suite's time is
# compilation of programs that run once or twice: XLA leaves out what makes code faster and compiling slower. Its fusion
# emitters alone take half of the time; code generated in one piece, a tenth less than in many.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = " ".join(
    (
        "--xla_force_host_platform_device_count=8",
        "--xla_backend_optimization_level=0",
        "--xla_cpu_parallel_codegen_split_count=1",
    )
)
if version("jax").startswith("0.10."):  # later ones have no such flag, and end the process for it
    os.environ["XLA_FLAGS"] += " --xla_cpu_use_fusion_emitters=false"
# Arrays of two ranks or two dtypes do not meet unless a line says how; nor in the processes that tests start.
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
os.environ["JAX_NUMPY_DTYPE_PROMOTION"] = "strict"
ROOT = Path(__file__).parent.parent
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")
# Tracing leaves behind millions of small objects that live on in caches: looked through as often as Python does by
# itself, they cost a twelfth of the suite's time.
gc.set_threshold(50_000, 20, 100)
# A shell's background job ignores Ctrl-C, and so would all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

import jax
import jaxtyping
import optax
import pytest
from flax.linen import normalization
from jaxtyping import install_import_hook

MIXED_DTYPES = {
    (optax.tree, "bias_correction"): "a Python float to the power of an int32 count, under AdamW",
    (normalization, "_normalize"): "a bfloat16 map less its float32 mean, in Swin",
}
"""Functions of libraries that leave it to JAX how dtypes meet, and what meets."""
for library, name in MIXED_DTYPES:
    setattr(library, name, jax.numpy_dtype_promotion("standard")(getattr(library, name)))

# Every shape in a signature is checked while the tests run, but for those of whole runs: there the checks take a tenth
# of the time, and each function that they would check has tests of its own.
install_import_hook("lad_jax", "beartype.beartype")
WHOLE_RUNS = ("commands", "run", "study", "train", "test_hosts.py", "test_laws.py")
"""Folders and files whose tests train networks from end to end."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Switch the checks of shapes off for whole runs, before their fixtures are made."""
    jaxtyping.config.update("jaxtyping_disable", item.path.relative_to(ROOT / "tests").parts[0] in WHOLE_RUNS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that are long by themselves first; all others stay in their order, which keeps fixtures together."""
    items.sort(key=lambda item: item.get_closest_marker("first") is None)


def _absent(reason: str) -> NoReturn:
    """Skip the test; where CI runs, everything has to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _need(path: Path, what: str) -> Path:
    if not path.is_dir():
        _absent(f"{what} not found at {path}: set LAD_SHARED or LAD_GOLDEN")
    return path


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of weights, data and golden arrays beside the project, or `$LAD_SHARED`."""
    return _need(Path(os.environ.get("LAD_SHARED", ROOT.parent / "shared")), "shared data")


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Path:
    """The folder of reference arrays: `$LAD_GOLDEN`, or `golden` of the shared folder."""
    if "LAD_GOLDEN" in os.environ:
        return _need(Path(os.environ["LAD_GOLDEN"]), "golden arrays")
    return request.getfixturevalue("shared") / "golden"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The system's Chromium, started once and driven by playwright."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    try:
        playwright = importlib.import_module("playwright.sync_api")
    except ImportError:
        _absent("playwright is not installed: pip install -e '.[browser]'")
    if path is None:
        _absent("there is no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        # Without its sandbox, which a container's root cannot have: it opens only pages that the tests wrote.
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def torch() -> Any:
    """The module, which only files of torch need."""
    try:
        return importlib.import_module("torch")
    except ImportError:
        _absent("torch is not installed: pip install -e '.[torch]'")
