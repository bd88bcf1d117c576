"""The parts of a campaign's page, a module for each: numbers, the sentences for them, and the plots."""
