"""What the documents state and code can check."""

import dataclasses
import re
from pathlib import Path

from delivery_service.settings import Settings as DeliverySettings
from inventory_service.settings import Archive, Client
from inventory_service.settings import Settings as InventorySettings

ROOT = Path(__file__).resolve().parents[1]


def test_the_readme_names_every_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\S+) \| (.+) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)

    serve = {field.name for field in dataclasses.fields(InventorySettings)}
    settings = [
        *(("INVENTORY", field) for field in dataclasses.fields(InventorySettings)),
        *(
            ("INVENTORY", field)
            for command in (Archive, Client)
            for field in dataclasses.fields(command)
            if field.name not in serve
        ),
        *(("DELIVERY", field) for field in dataclasses.fields(DeliverySettings)),
    ]
    expected = [
        (
            f"{prefix}_{field.name.upper()}",
            {dataclasses.MISSING: "required", "": "none"}.get(field.default, f"`{field.default}`"),
            field.metadata["help"],
        )
        for prefix, field in settings
    ]
    assert rows == expected


def test_every_link_of_a_document_leads_somewhere() -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    dead = [
        f"{document.name}: {target}"
        for document in documents
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text())
        if not (document.parent / target).exists()
    ]
    assert dead == []
