"""GPUs that are not there: tensors say that they are on one, their numbers are in main memory.

As on real GPUs, an operation whose tensors are on different devices fails. Only what computes within `Gpus` knows them;
gradients do not flow backwards there. Importing this changes torch, so it belongs in a process of its own.
"""

import contextlib

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "imaginary"
aten = torch.ops.aten
MOVES = {aten._to_copy.default, aten.copy_.default, aten.detach.default}
# An index may be in main memory.
INDEXES = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default}

_setup_privateuseone_for_python_backend(NAME)
# Inference tensors cannot be imagined. Before other modules decorate their functions with it.
torch.inference_mode = lambda mode=True: torch.no_grad() if mode else contextlib.nullcontext()
_plain_tensor = torch.tensor


class OnGpu(torch.Tensor):
    """A tensor that says it is on a device, and holds `inner`, the same in main memory."""

    @staticmethod
    def __new__(cls, data, device=None, requires_grad=False):
        if device is None:  # accelerate makes parameters of the class of those that they replace
            return torch.nn.Parameter(data, requires_grad=requires_grad)
        layout = {"strides": data.stride(), "storage_offset": data.storage_offset(), "dtype": data.dtype}
        return torch.Tensor._make_wrapper_subclass(cls, data.size(), **layout, device=device)

    def __init__(self, data, device=None, requires_grad=False):
        if device is not None:
            self.inner = data

    def __getitem__(self, index):
        return super().__getitem__(_with_tensors(index))

    def __setitem__(self, index, value):
        super().__setitem__(_with_tensors(index), value)

    def __repr__(self):
        return f"{self.inner} on {self.device}"

    def tolist(self):
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _computed(function, args, kwargs or {})


class Gpus(TorchDispatchMode):
    """Within it, "imaginary:0", "imaginary:1" and so on are devices."""

    def __enter__(self):
        torch.tensor = _tensor
        return super().__enter__()

    def __exit__(self, *error):
        torch.tensor = _plain_tensor
        return super().__exit__(*error)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return _computed(function, args, kwargs or {})


def _with_tensors(index):
    """An index without lists, which torch would make tensors of on the device itself."""
    if isinstance(index, tuple):
        return tuple(map(_with_tensors, index))
    return _plain_tensor(index) if isinstance(index, list) else index


def _tensor(*args, device=None, **kwargs):
    made = _plain_tensor(*args, **kwargs)
    return made if device is None else made.to(device)


def _computed(function, args, kwargs):
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    devices = {tensor.device for tensor in tensors if tensor.dim() or tensor.device.type != "cpu"}
    if function in INDEXES:
        devices = {tensors[0].device} | {tensor.device for tensor in tensors if tensor.device.type != "cpu"}
    if len(devices) > 1 and function not in MOVES:
        raise RuntimeError(f"{function}: its tensors are on {devices}.")
    asked = kwargs.get("device")
    asked = None if asked is None else torch.device(asked)
    if function is aten.copy_.default:
        device = args[0].device
    else:
        device = asked or next((device for device in devices if device.type != "cpu"), torch.device("cpu"))
    outer = {id(tensor.inner): tensor for tensor in tensors if isinstance(tensor, OnGpu)}
    args, kwargs = tree_map(lambda leaf: leaf.inner if isinstance(leaf, OnGpu) else leaf, (args, kwargs))
    if asked is not None and asked.type == NAME:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    found = function(*args, **kwargs)
    if device.type != NAME:
        return found

    def told(leaf):
        if not isinstance(leaf, torch.Tensor):
            return leaf
        return outer[id(leaf)] if id(leaf) in outer else OnGpu(leaf, device)

    return tree_map(told, found)
