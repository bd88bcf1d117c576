"""Everything on disk: the ledger of a campaign, labels shared by campaigns, exports."""
