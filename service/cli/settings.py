"""`doorcode settings`: the settings as the service reads them."""

from rich.table import Table

from service.cli.running import read_settings
from service.cli.tables import print_table
from service.settings_overview import describe_settings


def settings() -> None:
    """Show every setting and its value, without secrets."""
    table = Table("SETTING", "VALUE", "DEFAULT")
    for shown in describe_settings(read_settings()):
        table.add_row(shown.name, shown.value, "yes" if shown.is_default else "no")
    print_table(table)
