"""The active-learning loop: a campaign, its stages, and what a round reads and leaves."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from alkit.campaign.campaign import Campaign as Campaign
    from alkit.campaign.campaign import open_campaign as open_campaign
    from alkit.campaign.result import Result as Result
else:  # a type checker must not see __getattr__, which would let every name pass
    __getattr__, __dir__, __all__ = lazy_loader.attach(
        __name__, submod_attrs={"campaign": ["Campaign", "Result", "open_campaign"]}
    )
