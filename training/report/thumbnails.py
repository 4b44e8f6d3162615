"""Small pictures written into the page itself."""

import base64
import io

from PIL import Image

from preprocessing import decode_picture
from training.upright import upright_size

_SIDE = 112
_QUALITY = 72


def thumbnail(data: bytes) -> str:
    """Scale a picture to 112 rows, at most twice as wide, and give it as a `data:` address of a JPEG.

    Args:
        data: A whole picture file.

    Returns:
        The address.

    Raises:
        preprocessing.PictureError: It cannot be decoded.
    """
    with Image.open(io.BytesIO(data)) as picture:
        width, height = upright_size(picture)
    columns = min(2 * _SIDE, max(1, round(_SIDE * width / height)))
    small = Image.fromarray(decode_picture(data, height=_SIDE, width=columns))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
