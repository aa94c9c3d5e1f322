//! What those who write, import or host an image need, checked before anything is published.
