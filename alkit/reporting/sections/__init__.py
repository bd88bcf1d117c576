"""What a campaign's page shows, a module for each part: numbers, the sentences for them, and the plots."""
