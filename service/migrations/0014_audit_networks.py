"""The network of each audit event, and indexes for the filters by actor, network and reference."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.schema_editor.base import BaseSchemaEditor

from service.ip_addresses import network_of


async def fill_networks(_apps: object, editor: BaseSchemaEditor) -> None:
    """Set the network of the events that there are: one update for IPv4, and one for each IPv6 address."""
    await editor.client.execute_query(
        "UPDATE audit_events SET network = ip_address WHERE ip_address IS NOT NULL AND ip_address NOT LIKE '%:%'"
    )
    _, rows = await editor.client.execute_query(
        "SELECT DISTINCT ip_address FROM audit_events WHERE ip_address LIKE '%:%'"
    )
    number = "$1", "$2"
    if editor.client.capabilities.dialect == "sqlite":
        number = "?", "?"
    update = f"UPDATE audit_events SET network = {number[0]} WHERE ip_address = {number[1]}"
    for row in rows:
        await editor.client.execute_query(update, [network_of(row["ip_address"]), row["ip_address"]])


class Migration(migrations.Migration):
    dependencies = [('doorcode', '0013_customer_sign_in')]

    initial = False

    operations = [
        ops.AddField(
            model_name='AuditEvent',
            name='network',
            field=fields.CharField(null=True, description='the IPv4 address, or the /64 of an IPv6 address', max_length=49),
        ),
        ops.RunPython(fill_networks),
        ops.AddIndex(
            model_name='AuditEvent',
            index=Index(fields=['actor', 'created_at']),
        ),
        ops.AddIndex(
            model_name='AuditEvent',
            index=Index(fields=['network', 'created_at']),
        ),
        ops.AddIndex(
            model_name='AuditEvent',
            index=Index(fields=['reference']),
        ),
    ]
