"""`doorcode keys …`: the keys that encrypt secrets in the database."""

from service.cli.groups import command_group
from service.cli.progress import progress
from service.cli.running import fail, run, stderr
from service.encryption import Cipher
from service.instance import Instance
from service.invariants import encrypted_texts

app = command_group("The keys that encrypt secrets in the database.")


@app.command()
def rotate() -> None:
    """Encrypt everything with the first of DOORCODE_ENCRYPTION_KEYS, so that the older ones can be removed."""
    texts, left = run(_encrypt)
    if left:
        fail(
            f"{left} of {texts} texts still have an older key: a server that has other keys has written them. Run it again."
        )
    stderr.print(f"All {texts} encrypted texts have the first encryption key. Older keys can be removed.")


async def _encrypt(instance: Instance) -> tuple[int, int]:
    """Count the texts, and those that the first key does not fit. Opening the instance has encrypted all of them."""
    first = Cipher(instance.settings.encryption_keys[:1]) if instance.settings.encryption_keys else instance.cipher
    texts = left = 0
    with progress() as tell:
        async for *_, text in encrypted_texts():
            texts, left = texts + 1, left + (not first.can_read(text))
            tell("Checked", texts, None)
    return texts, left
