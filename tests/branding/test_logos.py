"""Logos are checked and sanitised: what could run, load or repeat is left out, and what is no picture is refused."""

from xml.etree.ElementTree import fromstring

import pytest

from service.branding.logos import MAX_SIZE, Logo, clean_logo
from tests.branding.logos import SVG, chunk, png

_OPEN = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9"'
_SHAPE = '<path d="M0 0h9v9z"/>'

DANGEROUS = [
    f"{_OPEN}><script>alert(1)</script>{_SHAPE}</svg>",
    f'{_OPEN} onload="alert(1)">{_SHAPE}</svg>',
    f'{_OPEN}><path d="M0 0h9v9z" onclick="alert(1)"/></svg>',
    f"{_OPEN}><style>@import url(https://evil.test/a.css)</style>{_SHAPE}</svg>",
    f'{_OPEN}><image href="https://evil.test/a.png"/>{_SHAPE}</svg>',
    f'{_OPEN}><a href="javascript:alert(1)">{_SHAPE}</a></svg>',
    f'{_OPEN}><a xlink:href="https://evil.test/">{_SHAPE}</a></svg>',
    f'{_OPEN}><foreignObject><iframe xmlns="http://www.w3.org/1999/xhtml" src="https://evil.test"/></foreignObject>{_SHAPE}</svg>',
    f'{_OPEN}><script xmlns="http://www.w3.org/1999/xhtml">alert(1)</script>{_SHAPE}</svg>',
    f'{_OPEN}><animate attributeName="href" to="javascript:alert(1)"/><set attributeName="onload" to="alert(1)"/>{_SHAPE}</svg>',
    f'{_OPEN}><use href="https://evil.test/a.svg#x"/>{_SHAPE}</svg>',
    f'{_OPEN}><path d="M0 0h9v9z" fill="url(https://evil.test/a.svg#x)"/></svg>',
    f'{_OPEN}><path d="M0 0h9v9z" style="fill:url(//evil.test/a);background:url(//evil.test/b)"/></svg>',
    f'{_OPEN}><path d="M0 0h9v9z" style="fill:u\\72l(//evil.test/a)"/></svg>',
    f'{_OPEN}><path d="M0 0h9v9z" fill="uurl(#a)rl(//evil.test/a)"/></svg>',
    f'{_OPEN}><linearGradient href="https://evil.test/a.svg#g"/>{_SHAPE}</svg>',
    f'<?xml-stylesheet href="https://evil.test/a.css"?>{_OPEN}>{_SHAPE}</svg>',
    f'{_OPEN} xml:base="https://evil.test/">{_SHAPE}</svg>',
    f"{_OPEN}><title>&lt;script&gt;alert(1)&lt;/script&gt;</title>{_SHAPE}</svg>",
]


@pytest.mark.parametrize("svg", DANGEROUS)
def test_svg_loses_everything_that_could_run_or_load(svg: str) -> None:
    clean = clean_logo(svg.encode()).decode()
    fromstring(clean)
    for word in (
        "<script",
        "alert(1)",
        "onload",
        "onclick",
        "evil",
        "javascript",
        "<style",
        "<use",
        "<image",
        "foreignObject",
        "?xml-s",
    ):
        assert word not in clean.replace("&lt;script&gt;alert(1)&lt;/script&gt;", "")
    assert 'd="M0 0h9v9z"' in clean


def test_svg_keeps_its_look() -> None:
    svg = (
        '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'
        '<svg:svg xmlns:svg="http://www.w3.org/2000/svg" width="120px" height="40"><svg:defs><svg:linearGradient id="g">'
        '<svg:stop offset="0" style="stop-color:#0a7;stop-opacity:.5"/></svg:linearGradient></svg:defs>'
        '<svg:g transform="scale(2)"><svg:rect width="9" height="9" fill="url(#g)"/><svg:text x="1">Shop</svg:text></svg:g></svg:svg>'
    )
    root = fromstring(clean_logo(svg.encode()))
    names = [element.tag.partition("}")[2] for element in root.iter()]
    assert names == ["svg", "defs", "linearGradient", "stop", "g", "rect", "text"]
    assert root.attrib["viewBox"] == "0 0 120 40"
    [stop, rect, text] = [element for element in root.iter() if element.tag.endswith(("stop", "rect", "text"))]
    assert (stop.attrib["stop-color"], stop.attrib["stop-opacity"]) == ("#0a7", ".5")
    assert (rect.attrib["fill"], text.text) == ("url(#g)", "Shop")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "neither a PNG nor an SVG"),
        (b"GIF89a", "neither a PNG nor an SVG"),
        (b"<html><svg></html>", "not a well-formed SVG"),
        (b"<html><svg/></html>", "not an SVG"),
        (b"<svg/>", "not an SVG"),
        (f"{_OPEN}/>".encode(), "holds nothing"),
        (f"{_OPEN}>{'<g>' * 60}{'</g>' * 60}</svg>".encode(), "nested"),
        (f"{_OPEN}>{'<g/>' * 2_002}</svg>".encode(), "more than 2,000 elements"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><path/></svg>', "without a size"),
        (f'<!DOCTYPE svg [<!ENTITY a "b">]>{_OPEN}><text>&a;</text></svg>'.encode(), "entities"),
        (
            f'<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>{_OPEN}><text>&a;</text></svg>'.encode(),
            "entities",
        ),
        (f'<?xml version="1.0" encoding="no-such"?>{_OPEN}/>'.encode(), "not a well-formed SVG"),
        (SVG.encode() + b" " * MAX_SIZE, "64 KiB"),
        (png()[:-1], "damaged PNG|complete"),
        (png()[:-12], "not a complete PNG"),
        (png().replace(b"IDAT", b"IDAX"), "damaged PNG"),
        (png(pixels=b"\0" * 13), "do not fit"),
        (png(pixels=b"\0" * 15), "do not fit"),
        (png(4_000, 1), "4000 by 1 pixels"),
        (png(0, 1), "0 by 1 pixels"),
        (png(interlaced=2), "unknown kind"),
    ],
)
def test_file_that_is_no_logo_is_refused_with_the_reason(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        clean_logo(content)


def test_png_keeps_its_pixels_and_loses_what_it_tells_besides() -> None:
    told = chunk(b"tEXt", b"Author\0a name") + chunk(b"eXIf", b"a place")
    assert clean_logo(png(extra=told)) == png()
    assert Logo.of(png()).media_type == "image/png"


def test_interlaced_png_is_accepted() -> None:
    passes = b"".join((b"\0" + b"\0" * 3 * wide) * high for wide, high in ((1, 1), (1, 1), (2, 1)))
    assert clean_logo(png(pixels=passes, interlaced=1))


def test_png_that_unpacks_to_much_more_than_its_size_is_not_unpacked_in_full() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        clean_logo(png(pixels=b"\0" * 50_000_000))
