"""Sanitises an SVG: what is not on a list of harmless elements, attributes and values is left out.

Scripts, event handlers, style sheets, images, links, embedded HTML and animations are not on the list, nor is what fetches
anything. Styles of an element become attributes. Elements that repeat others (`use`, `pattern`) are not on it either, because
a few of them, nested, take a browser minutes.
"""

import re
from collections.abc import Mapping
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

_NAMESPACE = "http://www.w3.org/2000/svg"
_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"
MAX_ELEMENTS = 2_000
_MAX_DEPTH = 50


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ELEMENTS = _names(
    "svg g defs title desc path rect circle ellipse line polyline polygon text tspan linearGradient radialGradient stop"
    " clipPath mask"
)
_GROUPS = _names("a switch")  # what they hold is kept, in a `g`
_STYLES = _names(
    "fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-linecap stroke-linejoin stroke-miterlimit"
    " stroke-dasharray stroke-dashoffset opacity color stop-color stop-opacity clip-path clip-rule mask mask-type transform"
    " display visibility font-family font-size font-weight font-style letter-spacing text-anchor dominant-baseline"
    " paint-order vector-effect"
)
_ATTRIBUTES = _STYLES | _names(
    "id viewBox width height preserveAspectRatio version x y x1 y1 x2 y2 cx cy r rx ry fx fy fr d points dx dy offset"
    " gradientUnits gradientTransform spreadMethod clipPathUnits maskUnits maskContentUnits"
)
# Values hold no address: `url()` may only name an element of the same file.
_OWN_URL = re.compile(r"url\(\s*[\"']?#[\w.:-]+[\"']?\s*\)", re.ASCII)
_UNSAFE = re.compile(r"url|expression|javascript|import|:|@|\\|<|&|/\*", re.IGNORECASE)
_OWN_HREF = re.compile(r"#[\w.:-]+", re.ASCII)
_LENGTH = re.compile(r"([0-9]*\.?[0-9]+)(?:px)?", re.ASCII)


def clean_svg(content: bytes) -> bytes:
    """Return the sanitised SVG. Raises `ValueError` with what is wrong with the file."""
    # Imported with the first logo that is checked: it takes 0.01 seconds, which the start need not wait for.
    from defusedxml import ElementTree  # noqa: PLC0415
    from defusedxml.common import DefusedXmlException  # noqa: PLC0415

    try:
        root = ElementTree.fromstring(content)
    except DefusedXmlException:
        raise ValueError("is an SVG with entities (`<!ENTITY`); export it without them") from None
    except (ParseError, ValueError, LookupError):  # LookupError: an encoding that Python does not know
        raise ValueError("is not a well-formed SVG") from None
    if root.tag != f"{{{_NAMESPACE}}}svg":
        raise ValueError("is not an SVG: its outermost element must be `svg` in the namespace of SVG")
    clean = Element("svg", {"xmlns": _NAMESPACE, **_attributes(root)})
    if "viewBox" not in clean.attrib:
        clean.set("viewBox", f"0 0 {_length(clean, 'width')} {_length(clean, 'height')}")
    if not _copy_children(root, clean, 1):
        raise ValueError("is an SVG that holds nothing that a logo may show")
    return bytes(tostring(clean, encoding="utf-8"))


def _copy_children(source: Element, target: Element, depth: int) -> int:
    """Copy the harmless descendants, and return how many there are."""
    count = 0
    if depth > _MAX_DEPTH:
        raise ValueError(f"is an SVG with elements nested more than {_MAX_DEPTH} deep")
    for child in source:
        if count > MAX_ELEMENTS:
            raise ValueError(f"is an SVG of more than {MAX_ELEMENTS:,} elements")
        name = _local_name(child)
        if name in _GROUPS:
            name = "g"
        if name not in _ELEMENTS:
            continue
        copy = SubElement(target, name, _attributes(child))
        if name in ("text", "tspan", "title", "desc"):
            copy.text, copy.tail = child.text, child.tail
        count += 1 + _copy_children(child, copy, depth + 1)
    return count


def _local_name(element: Element) -> str:
    """Return the name of an element of SVG; empty for a comment, an instruction or another namespace."""
    namespace, _, name = str(element.tag).rpartition("}")
    return name if namespace == f"{{{_NAMESPACE}" else ""


def _attributes(element: Element) -> dict[str, str]:
    given = {**element.attrib, **_declarations(element.get("style", ""))}
    kept = {name: value for name, value in given.items() if name in _ATTRIBUTES and _is_harmless(value)}
    return kept | _own_href(element)


def _declarations(style: str) -> Mapping[str, str]:
    """Return the declarations of a `style` attribute that may be attributes. They win over attributes of that name."""
    pairs = (declaration.partition(":")[::2] for declaration in style.split(";"))
    return {name.strip(): value.strip() for name, value in pairs if name.strip() in _STYLES}


def _own_href(element: Element) -> dict[str, str]:
    """A gradient may take its stops from another one of the same file."""
    href = element.get("href") or element.get(_XLINK_HREF) or ""
    is_gradient = _local_name(element) in ("linearGradient", "radialGradient")
    return {"href": href} if is_gradient and _OWN_HREF.fullmatch(href) else {}


def _is_harmless(value: str) -> bool:
    return not _UNSAFE.search(_OWN_URL.sub("", value))


def _length(svg: Element, name: str) -> str:
    found = _LENGTH.fullmatch(svg.get(name, ""))
    if found is None:
        raise ValueError("is an SVG without a size: give it a `viewBox`, or `width` and `height` in pixels")
    return found[1]
