"""The evaluation report: what an exported version answers, measured, drawn and shown with its pictures."""
