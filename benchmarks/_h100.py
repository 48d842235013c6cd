"""A program compiled for an H100 on a machine without a GPU, by XLA's own compiler from the wheels of CUDA."""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies
from jax.sharding import Mesh

from lad_jax.mesh import DATA

NEEDS = "a program for an H100 is compiled by the wheels of CUDA, no GPU needed: pip install 'lad-jax[cuda]'"

_F16, _BF16, _S32, _S8, _F32, _F64 = 10, 16, 4, 8, 11, 12
"""Numbers of types in XLA."""
_SCALAR = {_S32: (1.98, 64, 1), _S8: (1.98, 64, 1), _F16: (1.98, 128, 2), _F32: (1.98, 128, 1), _F64: (1.98, 64, 1)}
_SCALAR[_BF16] = _SCALAR[_F16]
_MATRIX = {_F16: (1.83, 4, 512), _F32: (1.83, 4, 256), _F64: (1.98, 4, 32), _BF16: (1.83, 4, 512)}
"""Clock [GHz], units a multiprocessor and operations a clock of a unit, by type."""


_CUDNN, _CUDA = (9, 10, 0), (12, 9, 0)
"""Versions of the libraries that are compiled for."""


def target() -> str:
    """Description of an H100 SXM by its data sheet, as XLA's compiler reads it (GpuTargetConfigProto)."""

    def rates(name: str, of_type: dict[int, tuple[float, int, int]]) -> str:
        fields = "rate_infos {{ key: {} value {{ clock_rate_ghz: {} units_per_core: {} ops_per_clock: {} }} }}"
        return f"{name} {{ {' '.join(fields.format(key, *rate) for key, rate in of_type.items())} }}"

    toolkit, dnn = ".".join(map(str, _CUDA)), ".".join(map(str, _CUDNN))
    return f"""
gpu_device_info {{
  name: "NVIDIA H100 80GB HBM3" device_vendor: "NVIDIA Corporation" platform_version: "Compute Capability 9.0a"
  cuda_compute_capability {{ major: 9 minor: 0 feature_extension: ACCELERATED_FEATURES }}
  core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98
  threads_per_warp: 32 threads_per_block_limit: 1024 threads_per_core_limit: 2048
  registers_per_block_limit: 65536 registers_per_core_limit: 65536
  shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448 shared_memory_per_core: 233472
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  thread_dim_limit_x: 1024 thread_dim_limit_y: 1024 thread_dim_limit_z: 64
  memory_bandwidth: 3352320000000 device_memory_size: 84942979072 l2_cache_size: 52428800 ecc_enabled: true
  device_address_bits: 64 pcie_bandwidth: 34359738368
  {rates("scalar_unit_description", _SCALAR)}
  {rates("matrix_unit_description", _MATRIX)}
  driver_version: "13.0.0" runtime_version: "{toolkit}" compile_time_toolkit_version: "{toolkit}" dnn_version: "{dnn}"
}}
platform_name: "CUDA"
dnn_version_info {{ major: {_CUDNN[0]} minor: {_CUDNN[1]} patch: {_CUDNN[2]} }}
runtime_version {{ major: {_CUDA[0]} minor: {_CUDA[1]} patch: {_CUDA[2]} }}
device_description_str: "NVIDIA H100 80GB HBM3"
"""


def mesh() -> Mesh:
    """A mesh of one H100, which is not there.

    Raises:
      SystemExit: the compiler is not installed.
    """
    try:
        topology = topologies.get_topology_desc(platform="cuda", target_config=target(), topology="1x1x1")
    except RuntimeError as error:
        raise SystemExit(f"{NEEDS} ({str(error)[:200]})") from error
    return topologies.make_mesh(topology, (1,), (DATA,))


class Compiled(NamedTuple):
    """A program for an H100, as its compiler describes it."""

    program: Any
    text: str
    """The optimised program."""
    sequence: str
    """What the program launches, in order, and what of it lies in graphs: the compiler's dump of thunks."""
    names: str
    """The instructions behind the launches, by the compiler's dump `thunk_metadata`."""


def compile_program(lowered: jax.stages.Lowered) -> Compiled:
    """Compile a program, and keep what the compiler writes about its launches.

    Kernels are not timed to choose among them, as that takes a GPU: convolutions have no algorithm and no workspace.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = {"xla_gpu_autotune_level": "0", "xla_dump_to": folder, "xla_dump_hlo_as_text": True}
        program = lowered.compile(compiler_options={**options, "xla_dump_large_constants": False})

        written = {path.name.split(".")[-2]: path.read_text() for path in Path(folder).glob("*.thunk_*.txt")}
    sequence = written.get("thunk_sequence_after_thunk_passes", written["thunk_sequence"])  # the same without graphs
    return Compiled(program, program.as_text(), sequence, written["thunk_metadata"])
