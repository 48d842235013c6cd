"""What the program says of errors."""

import jax
import jax.numpy as jnp
import pytest

from lad_jax.cli import message_of
from lad_jax.errors import InputError


def test_too_little_memory_is_explained() -> None:
    with pytest.raises(Exception, match="RESOURCE_EXHAUSTED") as caught:
        jax.block_until_ready(jax.jit(lambda: jnp.zeros(1 << 46, jnp.int8))())
    assert "raise config.train.accumulate" in message_of(caught.value)


def test_a_full_disk_is_explained() -> None:
    with pytest.raises(OSError) as caught, open("/dev/full", "w") as file:
        file.write("the log")
    assert message_of(caught.value).startswith("the disk is full. Make room and start again")
    tensorstores = ValueError(
        f"RESOURCE_EXHAUSTED: {'Error writing ' * 50}: No space left on device [os_error_code='28']"
    )
    assert "the disk is full" in message_of(tensorstores) and "accumulate" not in message_of(tensorstores)


def test_a_bug_stays_one() -> None:
    assert message_of(InputError("the file is missing")) == "the file is missing"
    assert message_of(ValueError("a bug")) is None
