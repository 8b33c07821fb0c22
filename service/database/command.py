"""The configuration that the command `tortoise makemigrations` reads. The service does not import this module.

The command compares the models with the migrations and does not open the database, so the default settings will do.
"""

from service.database.connection import configuration
from service.settings import Settings

TORTOISE = configuration(Settings())
