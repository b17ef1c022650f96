"""Training on a CPU, a GPU or several: configurations, samplers, data on the device, and the loop of fit."""

from .checkpoint import fingerprint, resume, write_checkpoint
from .config import TrainConfig
from .device import default_device, device_data
from .fitting import fit
from .prediction import extract_features, predict
from .sampling import Batch, Sampler
from .training import Original, Training, check_precision, hold_statistics_of, watching

__all__ = [
    "Batch", "Original", "Sampler", "TrainConfig", "Training", "check_precision", "default_device",
    "device_data", "extract_features", "fingerprint", "fit", "hold_statistics_of", "predict", "resume",
    "watching", "write_checkpoint",
]  # fmt: skip
