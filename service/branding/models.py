"""The table of the branding."""

from tortoise import fields
from tortoise.models import Model


class BrandingRow(Model):
    """One row. `version` is raised by every change, so that one read tells whether a copy in memory still holds."""

    id = fields.IntField(primary_key=True, generated=False)
    version = fields.BigIntField(default=0)
    name = fields.CharField(max_length=64, null=True)
    accent_color = fields.CharField(max_length=7, null=True, description="#rrggbb")
    accent_color_dark = fields.CharField(max_length=7, null=True, description="#rrggbb, null for accent_color")
    support_email = fields.CharField(max_length=320, null=True)
    support_url = fields.CharField(max_length=2048, null=True)
    logo = fields.BinaryField(null=True, description="sanitised PNG or SVG")
    logo_dark = fields.BinaryField(null=True, description="sanitised PNG or SVG, null for logo")

    class Meta:
        table = "branding"
