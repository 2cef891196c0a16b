"""Looking at a space before it is searched: what it holds and costs, how its images look, whether it trains."""
