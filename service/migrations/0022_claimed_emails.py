"""`users.email` is the verified address again, and `users.claimed_email` one that a code only claimed.

Columns get other names and keep their constraints and values, so that no table is made again on SQLite.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("doorcode", "0021_daily_counts")]

    initial = False

    operations = [
        ops.RemoveIndex(model_name="User", fields=["email", "id"]),
        ops.RenameField(model_name="User", old_name="email", new_name="claimed_email"),
        ops.RenameField(model_name="User", old_name="verified_email", new_name="email"),
        ops.RunSQL("UPDATE users SET claimed_email = NULL WHERE email IS NOT NULL"),
        # A list in the order of the shown addresses reads it, and the filter by address.
        ops.RunSQL("CREATE INDEX users_by_shown_email ON users (COALESCE(claimed_email, email), id)"),
    ]
