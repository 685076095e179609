# docker build -t pulsestream .
# docker run -p 8000:8000 -v pulsestream:/data pulsestream
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --profile dist -p pulsestream-server

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data pulsestream \
    && install -d -o pulsestream -g pulsestream /data
COPY --from=build /src/target/dist/pulsestream /usr/local/bin/pulsestream
USER pulsestream
ENV PULSESTREAM_BIND=0.0.0.0:8000 PULSESTREAM_DATA_DIR=/data
EXPOSE 8000
VOLUME /data
HEALTHCHECK --interval=10s --timeout=3s CMD ["pulsestream", "healthcheck", "--mode", "ready"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["pulsestream"]
CMD ["serve"]
