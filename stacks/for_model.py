"""The configuration for the model that is deployed: an encoder of one's own may take more memory than our networks."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

from stacks.config import PipelineConfig
from stacks.devices import Device
from stepvec.errors import ConfigurationError
from stepvec.rows.model import ModelCard, ModelIdentity

NETWORK_MIB: Final = 600
"""Of a job's memory, what is there for the network and its engine: a worker of ResNet18 takes 570 to 710 MB in all
(docs/performance.md)."""


@dataclass(frozen=True, slots=True)
class ConfigForModel(PipelineConfig):
    """`model_mib`: what the model takes beyond NETWORK_MIB. No setting: it follows from the model."""

    model_mib: int = 0

    def more_memory_mib(self, device: Device) -> int:
        """What large images and the model need beyond the device's own memory."""
        # Without super(): dataclass(slots=True) makes the class anew, and super() would mean the first one.
        return PipelineConfig.more_memory_mib(self, device) + self.model_mib


def config_for(config: PipelineConfig, card: ModelCard) -> tuple[PipelineConfig, ModelIdentity]:
    """`config` with the memory that the model of `card` needs, and the model's name.

    Raises ConfigurationError for a model that does not go with the settings, or does not fit into a job.
    """
    model = card.identity(config.preprocessing, config.engine, config.precision)
    if card.encoder is None:
        return config, model
    if config.device == "gpu":
        raise ConfigurationError(
            f"{card.architecture} is an encoder of your own, which runs on CPUs only.", remedy="Use device cpu."
        )
    more = max(0, card.encoder.peak_mib - NETWORK_MIB)
    settings = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    fitted = ConfigForModel(**settings, model_mib=more)
    device, needed = config.base_hardware, fitted.hardware.memory_mib
    if needed > device.largest_memory_mib:
        raise ConfigurationError(
            f"{card.architecture} takes {card.encoder.peak_mib:,} MiB: a job would need {needed:,} MiB, and may have "
            f"{device.largest_memory_mib:,}.",
            remedy="Use a smaller encoder, or lower max_image_pixels and max_image_bytes if you have raised them.",
        )
    return fitted, model
