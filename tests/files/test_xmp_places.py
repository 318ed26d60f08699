"""Where the elements of XML lie in its bytes."""

import pytest

from facetool.files.xmp_places import Edit, edited, find_places


@pytest.mark.parametrize("start", ["", "\ufeff", '<?xml version="1.0"?>\r\n<!-- <a/></b> -->'])
@pytest.mark.parametrize(
    ("text", "elements", "put"),
    [
        ("<a/>", ["<a/>"], "<a>!</a>"),
        ("<a></a >", ["<a></a >"], "<a>!</a >"),
        ("<a>b/></a>", ["<a>b/></a>"], "<a>b/>!</a>"),
        ("<a><!--/></a>--></a>", ["<a><!--/></a>--></a>"], "<a><!--/></a>-->!</a>"),
        ("<a><![CDATA[</a>/>]]></a>", ["<a><![CDATA[</a>/>]]></a>"], "<a><![CDATA[</a>/>]]>!</a>"),
        ("<a>é<?b />?></a>", ["<a>é<?b />?></a>"], "<a>é<?b />?>!</a>"),
        ('<a é="a>/>"\n/>', ['<a é="a>/>"\n/>'], '<a é="a>/>"\n>!</a>'),
        ("<a><a/></a>", ["<a><a/></a>", "<a/>"], "<a><a/>!</a>"),
        ("<b:a><c/>é<d>1</d></b:a>", ["<b:a><c/>é<d>1</d></b:a>", "<c/>", "<d>1</d>"], ""),
    ],
)
def test_elements_are_found(start: str, text: str, elements: list[str], put: str) -> None:
    data = f"{start}{text}\n".encode()
    places = find_places(data)
    assert [data[place.start : place.end].decode() for place in places] == elements
    if put:
        new = edited(data, [places[0].put_last(b"!", "a")])
        assert new.decode() == f"{start}{put}\n"


def test_edits_leave_all_other_bytes() -> None:
    edits = [Edit(6, 6, b"!"), Edit(1, 4), Edit(2, 3), Edit(4, 4, b"-"), Edit(9, 10, b"end")]
    assert edited(b"0123456789", edits) == b"0-45!678end"
