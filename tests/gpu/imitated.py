"""A GPU for machines that have none: what would fail there fails here, and what would wait there is counted.

Tensors stay in the host's memory. They are only *said* to lie on cuda:0 or cuda:1, by a mark on their
storage, which views share. All numbers are real, and a test compares them with those of a CPU.

A TorchFunctionMode answers what Python asks of a tensor (`.device`, `.to`, `device=...`). A
TorchDispatchMode sees every operation, those of a backward pass too.

It imitates
- devices: an operation on tensors of two devices is refused (one number of the host may stand anywhere);
- waits: whatever makes the host wait for the GPU is counted, under the package's function that caused it;
- streams: a copy from pinned memory on a side stream happens when somebody waits for it, and no sooner;
- random numbers: each GPU has its own generator, and a generator of the host cannot draw on it;
- fused optimisers: each weight has its state, and weight, gradient and state are laid out alike in memory;
- autocast and gradient scaling, by those of the CPU;
- kernels that CUDA lacks for whole numbers: reflection padding and matrix products.

It cannot see
- other kernels that CUDA lacks, for a type of number or beyond a size (2**31 elements);
- the GPU's own rounding: TF32, sums in no fixed order, what cuDNN chooses, and operations that CUDA's
  autocast treats in another way than the CPU's;
- waits inside of a kernel or of the allocator;
- memory: peaks, fragments, and whether a block is freed too early (`record_stream` is only counted);
- speed, and races inside one stream;
- other processes (workers of joblib, torchrun and NCCL), and torch.compile.

FakeTensorMode is no alternative: in a CUDA build without a driver, its backward pass asks the driver.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import gru_lite
from gru_lite.train import device as device_module

PACKAGE = str(Path(gru_lite.__file__).parent)
CPU, GPU, SECOND = torch.device("cpu"), torch.device("cuda", 0), torch.device("cuda", 1)
# Operations whose result the host must know before it can go on.
WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive",
           "bincount", "equal", "allclose", "repeat_interleave"}  # fmt: skip
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}
FLOATS_ONLY = {"reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "mm", "bmm", "addmm", "baddbmm"}
FUSED = {"_fused_sgd_", "_fused_adam_", "_fused_adamw_"}
LOOKED_AT = {"copy_"} | WAITING | INDEXING | FLOATS_ONLY | FUSED
FROM_HOST_VALUES = (torch.tensor, torch.as_tensor, torch.asarray, Tensor.new_tensor)


def tensors_of(anything) -> list[Tensor]:
    """All tensors inside nested lists, tuples and dictionaries."""
    if isinstance(anything, Tensor):
        return [anything]
    if isinstance(anything, dict):
        anything = anything.values()
    elif not isinstance(anything, (list, tuple)):
        return []
    return [tensor for item in anything for tensor in tensors_of(item)]


def lies(tensor: Tensor) -> torch.device | None:
    """Where a tensor is said to lie. None: it was made inside an operation, and fits anywhere."""
    return getattr(tensor.untyped_storage(), "lies", None)


def put(tensor: Tensor, device: torch.device | None) -> Tensor:
    """Say where a tensor lies."""
    tensor.untyped_storage().lies = device
    return tensor


def is_pinned(tensor: Tensor) -> bool:
    """Whether a tensor is said to lie in pinned memory."""
    return getattr(tensor.untyped_storage(), "pinned", False)


class Stream:
    """What is put on a side stream is done when somebody waits for it."""

    def __init__(self, device: torch.device):
        self.device, self.work, self.done = device, [], 0

    def record_event(self):
        return self, len(self.work)

    def wait_event(self, event):
        stream, until = event
        while stream.done < until:
            stream.work[stream.done]()
            stream.work[stream.done] = None
            stream.done += 1


class Machine:
    """Two GPUs, and what happened on them.

    Attributes:
        waits: how often the host waited, by (why, function of the package).
        notes: how often something else happened, by its name.
        pinned_by: which device was current when the "main" thread pinned memory, and when an "other" did.
    """

    def __init__(self, free: int, total: int):
        self.free, self.total = free << 30, total << 30
        self.waits, self.notes, self.pinned_by = Counter(), Counter(), {"main": set(), "other": set()}
        self.main = {device: Stream(device) for device in (GPU, SECOND)}
        self.generators = {device: torch.Generator().manual_seed(999) for device in (GPU, SECOND)}
        self.here = threading.local()  # the current device and stream belong to a thread

    def device(self, device=None) -> torch.device:
        """The device with its number; None and plain "cuda" are the current one."""
        device = torch.device("cuda", device) if isinstance(device, int) else torch.device(device or "cuda")
        if device.type == "cuda" and device.index is None:
            return getattr(self.here, "device", GPU)
        return device

    def generator(self, device=None) -> torch.Generator:
        return self.generators[self.device(device)]

    def set_device(self, device):
        if not isinstance(device, int) and torch.device(device).index is None:
            raise ValueError(f"Expected a torch.device with a specified index, but got:{device}")
        self.here.device = self.device(device)

    @contextlib.contextmanager
    def on_device(self, device):
        before = self.device()
        self.here.device = self.device(device)
        try:
            yield
        finally:
            self.set_device(before)

    def stream(self, device) -> Stream:
        """The stream that this thread puts work for a device on."""
        side = getattr(self.here, "stream", None)
        return side if side is not None and side.device == device else self.main[device]

    @contextlib.contextmanager
    def on_stream(self, stream):
        self.here.stream = stream
        try:
            yield
        finally:
            self.here.stream = None

    def wait(self, why: str):
        """Count a wait, under the innermost function of the package."""
        frame = sys._getframe(1)
        while frame is not None and not frame.f_code.co_filename.startswith(PACKAGE):
            frame = frame.f_back
        at = f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}" if frame is not None else ""
        self.waits[why, at] += 1

    def pin(self, tensor: Tensor) -> Tensor:
        """Say that a tensor lies in pinned memory."""
        thread = "main" if threading.current_thread() is threading.main_thread() else "other"
        self.pinned_by[thread].add(self.device())
        tensor.untyped_storage().pinned = True
        return tensor

    @contextlib.contextmanager
    def drawing(self, device):
        """What is drawn inside comes from the generator of this GPU."""
        host, own = torch.default_generator, self.generator(device)
        before = host.get_state()
        host.set_state(own.get_state())
        try:
            yield
        finally:
            own.set_state(host.get_state())
            host.set_state(before)

    def moved(self, tensor, device, dtype, copy, non_blocking, memory_format) -> Tensor:
        """`tensor.to(...)`: with a wait, or from pinned memory without."""
        now, dtype = lies(tensor) or CPU, dtype or tensor.dtype
        device = now if device is None else self.device(device)
        if device == now:
            return Tensor.to(tensor, dtype, copy=copy, memory_format=memory_format)
        if not (device.type == "cuda" and non_blocking and is_pinned(tensor)):
            self.wait("copy to the device" if device.type == "cuda" else "copy to the host")
            return put(Tensor.to(tensor, dtype, copy=True, memory_format=memory_format), device)
        arrives = put(torch.full_like(tensor, 77, dtype=dtype), device)  # until the copy is made

        def make():
            with torch._C.DisableTorchFunction():
                arrives.copy_(tensor, non_blocking=True)

        stream = self.stream(device)
        if stream is self.main[device]:
            make()
        else:
            stream.work.append(make)
            self.notes["copies on a side stream"] += 1
        return arrives


class Functions(TorchFunctionMode):
    """What Python asks of a tensor, and where it asks for one."""

    def __init__(self, machine: Machine):
        super().__init__()
        self.machine = machine
        self.answers = {
            Tensor.device.__get__: lambda t: lies(t),
            Tensor.is_cuda.__get__: lambda t: True,
            Tensor.is_cpu.__get__: lambda t: False,
            Tensor.get_device: lambda t: lies(t).index,
            Tensor.numpy: self._refuse_numpy,
            Tensor.__array__: self._refuse_numpy,
            Tensor.pin_memory: self._refuse_pinning,
            Tensor.tolist: lambda t: self._to(t, "cpu").tolist(),
        }

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        on_gpu = bool(args) and isinstance(args[0], Tensor) and (lies(args[0]) or CPU).type == "cuda"
        if on_gpu and func in self.answers:
            return self.answers[func](args[0])
        if func is Tensor.to:
            return self._to(*args, **kwargs)
        if func in (Tensor.cpu, Tensor.cuda):
            return self._to(args[0], "cpu" if func is Tensor.cpu else (args[1:] or ("cuda",))[0], **kwargs)
        if func is Tensor.pin_memory:
            return self.machine.pin(put(args[0].clone(), CPU))
        if func is Tensor.is_pinned:
            return is_pinned(args[0])
        if func is Tensor.__deepcopy__:
            return put(func(*args, **kwargs), lies(args[0]))
        return self._made(func, args, kwargs)

    def _made(self, func, args, kwargs):
        """Call a function that may make a tensor on a device."""
        device, pinned = kwargs.get("device"), kwargs.pop("pin_memory", False)
        given, draws = tensors_of((args, kwargs)), contextlib.nullcontext()
        if device is None and given:  # the operations say where it lies
            return func(*args, **kwargs)
        device = self.machine.device(device or CPU)
        if "device" in kwargs:
            kwargs["device"] = CPU
        if device.type == "cuda":
            if kwargs.get("generator") is not None:
                raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
            if func in FROM_HOST_VALUES:
                self.machine.wait("copy to the device")
                if given:
                    return self._to(args[0], device, dtype=kwargs.get("dtype"))
            if not given:
                draws = self.machine.drawing(device)
        with draws:
            made = func(*args, **kwargs)
        for tensor in tensors_of(made):
            put(tensor, device)
            if pinned:
                self.machine.pin(tensor)
        return made

    def _to(self, tensor, *args, device=None, dtype=None, non_blocking=False, copy=False,
            memory_format=torch.preserve_format):  # fmt: skip
        switches = [arg for arg in args if isinstance(arg, bool)]  # non_blocking, copy
        for arg in (arg for arg in args if not isinstance(arg, bool)):
            if isinstance(arg, torch.dtype):
                dtype = arg
            elif isinstance(arg, Tensor):
                device, dtype = lies(arg) or CPU, arg.dtype
            elif arg is not None:
                device = arg
        non_blocking, copy = [*switches, *[non_blocking, copy][len(switches) :]]
        return self.machine.moved(tensor, device, dtype, copy, non_blocking, memory_format)

    def _refuse_numpy(self, tensor):
        raise TypeError(f"can't convert {lies(tensor)} device type tensor to numpy")

    def _refuse_pinning(self, tensor):
        raise RuntimeError("cannot pin a tensor of a GPU: only dense CPU tensors can be pinned")


@functools.cache
def facts_of(operation) -> tuple[str, bool]:
    """The name of an operation, and whether it draws random numbers."""
    name = operation._schema.name.split("::")[1]
    return name, torch.Tag.nondeterministic_seeded in operation.tags


class Operations(TorchDispatchMode):
    """Every operation, on tensors of one device."""

    def __init__(self, machine: Machine):
        super().__init__()
        self.machine = machine

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs, (name, is_random) = kwargs or {}, facts_of(func)
        with torch._C.DisableTorchFunction():
            tensors = tensors_of((args, kwargs))
            places = {lies(tensor) for tensor in tensors}
            gpu = next((place for place in places if place is not None and place.type == "cuda"), None)
            if gpu is not None and (len(places) > 1 or name in LOOKED_AT):
                self._check(name, args, tensors)
            with self.machine.drawing(gpu) if gpu is not None and is_random else contextlib.nullcontext():
                made = func(*args, **kwargs)
            if gpu is not None or places == {CPU}:
                for tensor in tensors_of(made):
                    if lies(tensor) is None:
                        put(tensor, gpu or CPU)
            return made

    def _check(self, name, args, tensors):
        if name == "copy_":
            late = len(args) > 2 and args[2] and is_pinned(args[1])
            if len({lies(tensor) for tensor in tensors} - {None}) > 1 and not late:
                self.machine.wait("copy between devices")
            return
        if name in WAITING:
            self.machine.wait(name)
        if name in INDEXING:
            tensors = self._checked_index(args, tensors)
        # One number of the host may stand beside a GPU's tensors, but not in a list of them.
        anywhere = name not in FUSED and name not in ("cat", "stack") and not name.startswith("_foreach")
        devices = {lies(t) for t in tensors if not (anywhere and lies(t) == CPU and t.dim() == 0)} - {None}
        if len(devices) > 1:
            found = [(str(lies(tensor)), tuple(tensor.shape)) for tensor in tensors]
            raise RuntimeError(f"Expected all tensors to be on the same device: {name}, {found}")
        if name in FLOATS_ONLY and not tensors[0].is_floating_point():
            raise RuntimeError(f'"{name}" not implemented for {tensors[0].dtype} on a GPU')
        if name in FUSED:
            self._check_layouts(args)

    def _checked_index(self, args, tensors):
        """The tensors that must be on one device: positions may come from the host, with a wait."""
        picked = [index for index in args[1] if index is not None]
        host = [index for index in picked if lies(index) == CPU]
        masks = [index for index in picked if index.dtype in (torch.bool, torch.uint8)]
        if lies(args[0]) != CPU and (host or masks):
            self.machine.wait("index by a mask, or from the host")
            return [tensor for tensor in tensors if not any(tensor is index for index in host)]
        return tensors

    def _check_layouts(self, args):
        """CUDA's fused optimisers walk weights, gradients and their states as they lie in memory."""
        lists = [arg for arg in args[:5] if isinstance(arg, (list, tuple)) and len(arg) == len(args[0])]
        for group in zip(*lists, strict=True):
            strides = {tuple(step for step, size in zip(t.stride(), t.shape, strict=True) if size > 1)
                       for t in group if t.shape == group[0].shape}  # fmt: skip
            if len(strides) > 1:
                raise RuntimeError("Expected check_fast_path_restrictions(...) to be true, but got false")


class Autocast(torch.autocast):
    """The GPU's autocast is the CPU's."""

    def __init__(self, device_type, *args, **kwargs):
        super().__init__("cpu", *args, **kwargs)


def patches(machine: Machine) -> list[tuple]:
    """(object, name, what stands there while the GPU is imitated)."""
    # No mode sees these.
    from_numpy, group_tensors = torch.from_numpy, torch.optim.Optimizer._group_tensors_by_device_and_dtype

    def grouped(lists, with_indices=False):
        groups = group_tensors(lists, with_indices)
        return {(lies(group[0][0][0]) or CPU, dtype): group for (_, dtype), group in groups.items()}

    class SideStream(Stream):
        def __init__(self, device=None):
            super().__init__(machine.device(device))
            machine.notes[f"stream on {self.device}"] += 1

    class Pool(ThreadPoolExecutor):
        """Modes belong to a thread, so the loader's must enter them, too."""

        def submit(self, function, *args):
            def inside():
                with Functions(machine), Operations(machine):
                    return function(*args)

            return super().submit(inside)

    cuda = {
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "current_device": lambda: machine.device().index,
        "set_device": machine.set_device,
        "device": machine.on_device,
        "get_device_name": lambda device=None: "imitated",
        "is_bf16_supported": lambda including_emulation=True: True,
        "mem_get_info": lambda device=None: (machine.free, machine.total),
        "memory_reserved": lambda device=None: 0,
        "memory_allocated": lambda device=None: 0,
        "Stream": SideStream,
        "stream": machine.on_stream,
        "current_stream": lambda device=None: machine.main[machine.device(device)],
        "synchronize": lambda device=None: machine.wait("synchronize"),
        "manual_seed": lambda seed: machine.generator().manual_seed(seed),
        "get_rng_state": lambda device=None: machine.generator(device).get_state(),
        "set_rng_state": lambda state, device=None: machine.generator(device).set_state(state),
    }
    # The optimisers ask the driver whether a CUDA graph is being recorded.
    health = [name for name in dir(torch.optim.Optimizer) if "capture_health" in name]
    return [
        *((torch.cuda, name, value) for name, value in cuda.items()),
        *((torch.optim.Optimizer, name, lambda self: None) for name in health),
        (torch.optim.Optimizer, "_group_tensors_by_device_and_dtype", staticmethod(grouped)),
        (torch, "autocast", Autocast),
        (torch, "from_numpy", lambda array: put(from_numpy(array), CPU)),
        (Tensor, "record_stream", lambda tensor, stream: machine.notes.update(["record_stream"])),
        (device_module, "ThreadPoolExecutor", Pool),
    ]


@contextlib.contextmanager
def nothing_kept():
    """Data and streams of a device that is not there any more are forgotten, before and after."""
    device_module.UPLOADED.clear()
    device_module.side_stream.cache_clear()
    try:
        yield
    finally:
        device_module.UPLOADED.clear()
        device_module.side_stream.cache_clear()


@contextlib.contextmanager
def imitated_gpu(free: int = 79, total: int = 80):
    """Everything inside believes that there are two GPUs; yield the Machine.

    Args:
        free: GiB of each GPU that nobody uses.
        total: GiB of each GPU.
    """
    machine = Machine(free, total)
    with contextlib.ExitStack() as stack:
        stack.enter_context(nothing_kept())
        for where, name, value in patches(machine):
            stack.enter_context(mock.patch.object(where, name, value))
        stack.enter_context(Functions(machine))
        stack.enter_context(Operations(machine))
        yield machine


@contextlib.contextmanager
def no_gpu():
    """Everything inside believes that there is none."""
    with nothing_kept(), mock.patch.object(torch.cuda, "is_available", lambda: False):
        yield


@contextlib.contextmanager
def real_gpu(free: int = 79, total: int = 80):
    """The machine's own GPU, with full float32. No data set fits when `free` is less than half of `total`."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(nothing_kept())
        stack.enter_context(torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False))
        if free < total / 2:
            stack.enter_context(mock.patch.object(device_module, "fits", lambda n_bytes, device: False))
        yield None
