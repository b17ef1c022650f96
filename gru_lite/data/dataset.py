"""A grouped dataset: samples with a target and a sensitive attribute; and the three parts of a data set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..groups import group_ids


class View(NamedTuple):
    """What a model sees of an image in evaluation, in pixels.

    `resize` None squashes the whole image to size x size; otherwise the short side is resized to `resize`,
    and the central size x size window is cut out.
    """

    size: int
    resize: int | None


@dataclass(frozen=True, eq=False)
class GroupedDataset:
    """N samples with target y and sensitive attribute s.

    Attributes:
        images: uint8 (N, C, H, W), perhaps memory-mapped and read-only; None when there are features or
            tokens.
        features: float32 (N, D), or None.
        tokens: int32 (N, 3, L) of text: ids, token types and attention mask; or None.
        target: int64 (N,), y.
        sensitive: int64 (N,), s.
        target_names: Y names.
        sensitive_names: S names.
        group: int64 (N,), y * S + s.
        source: int64 (N,) what a sample was made from (a glyph, a person); samples of one source are not
            independent, so intervals resample sources. Each sample is its own source when none is given.
        view: View of the images in evaluation; None: as they are.
        aspect: float32 (N,) width / height of each picture before it was squashed into its array; None: the
            array's own.
        joint: what stands between target and sensitive attribute in the name of a group.

    Raises:
        InputError: lengths that differ, labels outside 0..Y-1 or 0..S-1, inputs of another shape or dtype, a
            view that no image can have.
    """

    target: np.ndarray
    sensitive: np.ndarray
    target_names: tuple
    sensitive_names: tuple
    images: np.ndarray | None = None
    features: np.ndarray | None = None
    source: np.ndarray | None = None
    view: View | None = None
    aspect: np.ndarray | None = None
    tokens: np.ndarray | None = None
    joint: str = " on "
    group: np.ndarray = field(init=False)

    def __post_init__(self):
        if sum(inputs is not None for inputs in (self.images, self.features, self.tokens)) != 1:
            raise InputError(
                "give either images or features or tokens: a grouped dataset has one of the three"
            )
        if self.images is not None and (self.images.ndim != 4 or self.images.dtype != np.uint8):
            raise InputError(
                f"images must be uint8 (N, C, H, W), not {self.images.dtype} {self.images.shape}"
            )
        if self.features is not None and (self.features.ndim != 2 or self.features.dtype != np.float32):
            raise InputError(
                f"features must be float32 (N, D), not {self.features.dtype} {self.features.shape}"
            )
        if self.features is not None and not np.isfinite(self.features).all():
            row = int(np.argmin(np.isfinite(self.features).all(axis=1)))
            raise InputError(f"features of sample {row} are not finite")
        if self.tokens is not None and (
            self.tokens.ndim != 3 or self.tokens.shape[1] != 3 or self.tokens.dtype != np.int32
        ):
            raise InputError(f"tokens must be int32 (N, 3, L), not {self.tokens.dtype} {self.tokens.shape}")
        self._check_view()
        for what, names in (("target", self.target_names), ("sensitive", self.sensitive_names)):
            labels = np.asarray(getattr(self, what))
            if labels.shape != (len(self.inputs),) or not np.issubdtype(labels.dtype, np.integer):
                raise InputError(
                    f"{what} must be {len(self.inputs)} whole numbers, not {labels.dtype} {labels.shape}"
                )
            outside = np.flatnonzero((labels < 0) | (labels >= len(names)))
            if len(outside):
                row = int(outside[0])
                raise InputError(f"{what} of sample {row} is {labels[row]}: it must be 0 to {len(names) - 1}")
            object.__setattr__(self, what, labels.astype(np.int64))
            object.__setattr__(self, f"{what}_names", tuple(str(name) for name in names))
        source = np.arange(len(self.inputs)) if self.source is None else self.source
        source = np.asarray(source, dtype=np.int64)
        if source.shape != self.target.shape:
            raise InputError(f"source must be {len(self.inputs)} whole numbers, not {source.shape}")
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "group", group_ids(self.target, self.sensitive, self.n_sensitive))

    def _check_view(self):
        if self.view is None and self.aspect is None:
            return
        if self.view is None or self.images is None:
            raise InputError("a view needs images, and an aspect needs a view")
        size, resize = self.view
        for side in (size,) if resize is None else (size, resize):
            if isinstance(side, bool) or not isinstance(side, (int, np.integer)) or side < size or side < 1:
                raise InputError(
                    f"view {tuple(self.view)} must have a size of 1 "
                    "or more, and a resize that is None or at least the size"
                )
        if self.aspect is not None:
            if self.aspect.shape != (len(self.images),) or self.aspect.dtype != np.float32:
                raise InputError(
                    f"aspect must be float32 ({len(self.images)},), "
                    f"not {self.aspect.dtype} {self.aspect.shape}"
                )
            if not (np.isfinite(self.aspect) & (self.aspect > 0)).all():
                raise InputError("aspect must be finite and above 0: width / height of each picture")

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def inputs(self) -> np.ndarray:
        """The images, the features or the tokens, whichever there is."""
        return next(inputs for inputs in (self.images, self.features, self.tokens) if inputs is not None)

    @property
    def n_targets(self) -> int:
        """Number of targets, Y."""
        return len(self.target_names)

    @property
    def n_sensitive(self) -> int:
        """Number of sensitive values, S."""
        return len(self.sensitive_names)

    @property
    def group_names(self) -> tuple[str, ...]:
        """K names, in the order of group ids."""
        return tuple(f"{y}{self.joint}{s}" for y in self.target_names for s in self.sensitive_names)

    @property
    def group_counts(self) -> np.ndarray:
        """(K,) samples of each group."""
        return np.bincount(self.group, minlength=self.n_targets * self.n_sensitive)


@dataclass(frozen=True, eq=False)
class DatasetParts:
    """Train, validation and test set of one data set; `default_groups` are the (target, sensitive) pairs that
    are forgotten unless others are named.
    """

    name: str
    train: GroupedDataset
    val: GroupedDataset
    test: GroupedDataset
    default_groups: tuple = ()

    @property
    def target_names(self) -> tuple:
        """Y names."""
        return self.train.target_names

    @property
    def sensitive_names(self) -> tuple:
        """S names."""
        return self.train.sensitive_names

    @property
    def group_names(self) -> tuple:
        """K names, in the order of group ids."""
        return self.train.group_names
