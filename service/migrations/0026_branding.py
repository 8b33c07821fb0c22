"""The branding of pages and mails: one row, without values."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise import fields


class Migration(migrations.Migration):
    dependencies = [("doorcode", "0025_display_names")]

    initial = False

    operations = [
        ops.CreateModel(
            name="BrandingRow",
            fields=[
                ("id", fields.IntField(generated=False, primary_key=True, unique=True, db_index=True)),
                ("version", fields.BigIntField(default=0)),
                ("name", fields.CharField(null=True, max_length=64)),
                ("accent_color", fields.CharField(null=True, description="#rrggbb", max_length=7)),
                (
                    "accent_color_dark",
                    fields.CharField(null=True, description="#rrggbb, null for accent_color", max_length=7),
                ),
                ("support_email", fields.CharField(null=True, max_length=320)),
                ("support_url", fields.CharField(null=True, max_length=2048)),
                ("logo", fields.BinaryField(null=True, description="sanitised PNG or SVG")),
                ("logo_dark", fields.BinaryField(null=True, description="sanitised PNG or SVG, null for logo")),
            ],
            options={
                "table": "branding",
                "app": "doorcode",
                "pk_attr": "id",
                "table_description": "One row. `version` is raised by every change, so that one read tells whether a copy in memory still holds.",
            },
            bases=["Model"],
        ),
        ops.RunSQL("INSERT INTO branding (id, version) VALUES (1, 0)"),
    ]
