"""Convolutions as products of matrices: the windows of the input side by side, times the kernels.

Everything is written with torch's own simpler operations, so that a trace holds those instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

Sizes = Sequence[int]


def convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    transposed: bool,
    output_padding: Sizes,
    groups: int,
) -> Tensor:
    """``aten.convolution``: input ``(B, C, *sizes)``, weight ``(O, C / groups, *kernel)``."""
    rank = input.ndim - 2
    stride, padding, dilation, output_padding = (
        _all(rank, given) for given in (stride, padding, dilation, output_padding)
    )
    if transposed:
        kernel = weight.shape[2:]
        sizes = [
            (size - 1) * step - 2 * around + apart * (width - 1) + more + 1
            for size, step, around, apart, width, more in zip(
                input.shape[2:], stride, padding, dilation, kernel, output_padding, strict=True
            )
        ]
        found = _transposed(input, weight, sizes, stride, padding, dilation, groups)
    else:
        sizes = [
            (size + 2 * around - apart * (width - 1) - 1) // step + 1
            for size, around, apart, width, step in zip(
                input.shape[2:], padding, dilation, weight.shape[2:], stride, strict=True
            )
        ]
        found = _convolved(input, weight, sizes, stride, padding, dilation, groups)
    return found if bias is None else found + bias.view(-1, *[1] * rank)


def convolution_backward(
    grad: Tensor,
    input: Tensor,
    weight: Tensor,
    bias_sizes: Sizes | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    transposed: bool,
    output_padding: Sizes,
    groups: int,
    output_mask: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """``aten.convolution_backward``: the gradients of the input, the weight and the bias, those that are asked for."""
    rank = input.ndim - 2
    stride, padding, dilation = (_all(rank, given) for given in (stride, padding, dilation))
    to_input, to_weight, to_bias = None, None, None
    if output_mask[0] and transposed:
        to_input = _convolved(grad, weight, input.shape[2:], stride, padding, dilation, groups)
    elif output_mask[0]:
        to_input = _transposed(grad, weight, input.shape[2:], stride, padding, dilation, groups)
    if output_mask[1]:
        narrow, wide = (input, grad) if transposed else (grad, input)
        windows = _windows(wide, weight.shape[2:], narrow.shape[2:], stride, padding, dilation, groups)
        to_weight = torch.bmm(_grouped(narrow, groups), windows.mT).view(weight.shape)
    if output_mask[2]:
        to_bias = grad.sum([0, *range(2, grad.ndim)])
    return to_input, to_weight, to_bias


def _all(rank: int, given: Sizes) -> list[int]:
    """One number for each dimension, where torch takes one for all."""
    return list(given) * rank if len(given) == 1 else list(given)


def _convolved(
    input: Tensor, weight: Tensor, sizes: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Tensor:
    """An output of those sizes."""
    windows = _windows(input, weight.shape[2:], sizes, stride, padding, dilation, groups)
    products = torch.bmm(weight.reshape(groups, len(weight) // groups, -1), windows)
    return products.view(len(weight), len(input), *sizes).transpose(0, 1).contiguous()


def _windows(
    input: Tensor, kernel: Sizes, sizes: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Tensor:
    """What each kernel meets at each place of the output, ``(groups, C / groups * kernel, B * sizes)``."""
    around = [width for amount in reversed(padding) for width in (amount, amount)]
    windows = torch.constant_pad_nd(input, around) if any(around) else input
    for dim, (width, size, step, apart) in enumerate(zip(kernel, sizes, stride, dilation, strict=True), 2):
        windows = windows.unfold(dim, apart * (width - 1) + 1, step).narrow(dim, 0, size)[..., ::apart]
    rank = len(kernel)
    order = [1, *range(2 + rank, 2 + 2 * rank), 0, *range(2, 2 + rank)]  # channels, kernel, batch, places
    across = input.shape[1] // groups * math.prod(kernel)
    return windows.permute(order).reshape(groups, across, len(input) * math.prod(sizes))


def _grouped(output: Tensor, groups: int) -> Tensor:
    """An output ``(B, O, *sizes)`` as products with windows have it, ``(groups, O / groups, B * sizes)``."""
    return output.transpose(0, 1).reshape(groups, output.shape[1] // groups, -1)


def _transposed(
    output: Tensor, weight: Tensor, sizes: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Tensor:
    """The transpose of `_convolved` for inputs of those sizes: a convolution of the output, stretched by the stride."""
    rank = len(sizes)
    stretched = output
    around: list[int] = []
    for dim, (size, step, beside, apart) in enumerate(zip(sizes, stride, padding, dilation, strict=True), 2):
        stretched = _stretched(stretched, dim, step)
        reach = apart * (weight.shape[dim] - 1)
        before = reach - beside
        around = [before, size + reach - before - stretched.shape[dim], *around]
    stretched = torch.constant_pad_nd(stretched, around)
    kernel = weight.shape[2:]
    parts = weight.view(groups, len(weight) // groups, *weight.shape[1:]).transpose(1, 2)
    mirrored = parts.flip(list(range(3, 3 + rank))).reshape(-1, len(weight) // groups, *kernel)
    return _convolved(stretched, mirrored, sizes, [1] * rank, [0] * rank, dilation, groups)


def _stretched(tensor: Tensor, dim: int, step: int) -> Tensor:
    """With zeros between neighbours."""
    if step == 1 or tensor.shape[dim] < 2:
        return tensor
    apart = torch.constant_pad_nd(tensor.unsqueeze(dim + 1), [0, 0] * (tensor.ndim - dim - 1) + [0, step - 1])
    return apart.flatten(dim, dim + 1).narrow(dim, 0, (tensor.shape[dim] - 1) * step + 1)
