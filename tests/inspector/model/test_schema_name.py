"""How documents name their schemas."""

from __future__ import annotations

from inspector.commands import schemas
from inspector.model.schema_name import VERSION, schema_name


def test_the_shipped_schema_has_the_name_that_documents_give():
    assert schema_name("irt", 7) == "vtdpi/irt/7"
    assert (
        schemas.made("irt")["properties"]["schema"]
        == {"const": schema_name("irt")}
        == {"const": f"vtdpi/irt/{VERSION}"}
    )
