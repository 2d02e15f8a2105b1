# Two stages: build with Rust, run without a shell as a user that is not root.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --profile dist --bin towpath \
 && mkdir -p /out/data && cp target/dist/towpath /out/towpath

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/towpath /usr/local/bin/towpath
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
VOLUME /data
ENTRYPOINT ["/usr/local/bin/towpath"]
CMD ["run", "--data", "/data"]
