//! Amazon Web Services: ECR, the container registry.

pub(crate) mod ecr;
