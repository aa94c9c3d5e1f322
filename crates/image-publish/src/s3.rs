//! Storage that speaks S3.
