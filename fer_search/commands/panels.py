"""Help texts with their options grouped under headings, also where rich does not format them."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

RUN_PANELS: dict[str, tuple[str, ...]] = {
    "Space and data": (
        *("space", "data", "classes", "map", "image_size", "colour", "test", "group_by", "labels", "ferplus_csv"),
        *("limit_train", "drop_duplicates", "protocol", "validation"),
    ),
    "Search": (
        *(
            "tuner",
            "objective",
            "max_trials",
            "max_epochs",
            "min_steps",
            "time_budget",
            "equal_time",
            "factor",
            "baselines",
            "repeats",
            "seed",
        ),
        *("fix", "width", "batch_size", "weights_dir", "missing_weights", "confirm"),
    ),
    "Stopping early": ("patience", "search_patience", "prune", "max_params", "max_seconds_per_epoch", "max_failures"),
    "Machine": ("devices", "workers", "gpus_per_trial", "ahead", "cluster", "max_disk"),
    "Run folder": ("name", "results_dir", "extend", "extend_trials", "from_run", "overwrite"),
    "Output": ("dry_run", "tensorboard", "quiet", "json", "help"),
}
OTHER = "Other options"


class PanelCommand(TyperCommand):
    """A command whose help groups the options by ``RUN_PANELS``."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, a section each group."""
        panel_of = {name: panel for panel, names in RUN_PANELS.items() for name in names}
        records: dict[str, list[tuple[str, str]]] = {panel: [] for panel in [*RUN_PANELS, OTHER]}
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is not None:
                records[panel_of.get(str(parameter.name), OTHER)].append(record)
        for panel, lines in records.items():
            if lines:
                with formatter.section(panel):
                    formatter.write_dl(lines)
