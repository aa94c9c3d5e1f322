//! A release that is read by http.
