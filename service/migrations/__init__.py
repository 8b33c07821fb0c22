"""The migrations of the database, written by Tortoise and applied in the order of their names.

They import the enums of the models as they are today, so renaming an enum means editing the migrations that name it.
"""
