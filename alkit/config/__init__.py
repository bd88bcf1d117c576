"""The campaign file: schema, loading, and messages for what is wrong in it. Names load on first use."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from alkit.config.loading import check_config as check_config
    from alkit.config.loading import load_config as load_config
    from alkit.config.schema import CampaignConfig as CampaignConfig
else:  # a type checker must not see __getattr__, which would let every name pass
    __getattr__, __dir__, __all__ = lazy_loader.attach(
        __name__, submod_attrs={"loading": ["check_config", "load_config"], "schema": ["CampaignConfig"]}
    )
