"""How large a picture is once it stands upright, from its header."""

from PIL import ExifTags, Image, TiffImagePlugin

from preprocessing import SIDEWAYS, read_orientation


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """The size of a picture as `preprocessing.decode_picture` turns it.

    Args:
        picture: Opened, loaded or not.

    Returns:
        Width and height.
    """
    width, height = picture.size
    # Pillow gives the size of a TIFF with this tag upright from the start, that of one whose orientation is in XMP
    # alone only once it is loaded.
    already = (
        isinstance(picture, TiffImagePlugin.TiffImageFile)
        and picture.tag_v2.get(ExifTags.Base.Orientation) in SIDEWAYS
    )
    if read_orientation(picture) in SIDEWAYS and not already:
        return height, width
    return width, height
