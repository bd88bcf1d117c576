"""The campaign file: schema, loading, and messages for what is wrong in it."""

from alkit.config.loading import check_config, load_config
from alkit.config.schema import CampaignConfig

__all__ = ["CampaignConfig", "check_config", "load_config"]
