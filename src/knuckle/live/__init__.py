"""A local page that shows hands while a camera sees them: sources of frames, a thread that finds hands, a server."""

from knuckle.live.sources import Source, SourceError, open_source

__all__ = ["Source", "SourceError", "open_source"]
