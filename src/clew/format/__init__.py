"""The recording on disk and on the wire: chunks of columns, their writer and reader."""
