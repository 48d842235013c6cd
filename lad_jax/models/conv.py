"""The convolution of backbones, which takes an affine norm into itself, and its activation."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Conv(nn.Module):
    """A convolution padded by half its kernel on every side, as torch pads (not `SAME`)."""

    channels: int
    size: int
    """Rows and columns of the kernel."""
    dtype: jnp.dtype
    kernel_init: nn.initializers.Initializer
    stride: int = 1
    groups: int = 1

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B H W C"],
        factor: Float[Array, " K"] | None = None,
        offset: Float[Array, " K"] | None = None,
    ) -> Float[Array, "B _ _ K"]:
        """factor · (kernel ∗ x) + offset, for each channel; without them the plain convolution."""
        kernel = self.param(
            "kernel", self.kernel_init, (self.size, self.size, x.shape[-1] // self.groups, self.channels)
        )
        y = jax.lax.conv_general_dilated(
            x.astype(self.dtype),
            scaled(kernel, factor).astype(self.dtype),
            window_strides=(self.stride, self.stride),
            padding=[(self.size // 2, self.size // 2)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=self.groups,
        )
        return shifted(y, offset)


def scaled(kernel: Float[Array, "h w I K"], factor: Float[Array, " K"] | None) -> Float[Array, "h w I K"]:
    """The kernel whose results are `factor` times as large; in the parameters' precision, before a single rounding."""
    return kernel if factor is None else kernel * factor[None, None, None]


def shifted(y: Float[Array, "B h w K"], offset: Float[Array, " K"] | None) -> Float[Array, "B h w K"]:
    """A convolution's map with its bias: on a GPU one call computes both, and what is added and cut off after them."""
    return y if offset is None else y + offset.astype(y.dtype)[None, None, None]


@jax.custom_jvp
def relu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """max(x, 0), whose gradient is read off the result: `x` need not be kept for the backward pass."""
    return jnp.maximum(x, 0)


@relu.defjvp
def _relu_jvp(
    primals: tuple[Float[Array, "..."]], tangents: tuple[Float[Array, "..."]]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    y = relu(*primals)
    # `y != 0`: of max(x, 0) > 0 XLA makes x > 0 again, and keeps both maps.
    return y, jnp.where(y != 0, *tangents, jnp.zeros_like(y))
