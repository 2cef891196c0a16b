"""Inspecting a space before it is searched: its choices and costs, augmented images, and whether it trains."""
