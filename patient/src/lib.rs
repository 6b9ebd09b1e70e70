//! The patient's client: logs in with ElGamal signatures, receives encrypted alerts and returns receipts.
