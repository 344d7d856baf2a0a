# The image is the program and nothing else: no shell, no package manager, no
# user but 65532. Configuration is mounted at /etc/gatehouse, data at
# /var/lib/gatehouse.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath \
      -ldflags "-s -w -X gatehouse/cmd/gatehouse/cli.Version=${VERSION}" \
      -o /out/gatehouse ./cmd/gatehouse \
 && mkdir -p /out/root/etc/gatehouse /out/root/var/lib/gatehouse /out/root/tmp \
 && cp /etc/ssl/certs/ca-certificates.crt /out/ca-certificates.crt

FROM scratch
COPY --from=build /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /out/root/ /
COPY --from=build /out/gatehouse /gatehouse
USER 65532:65532
WORKDIR /var/lib/gatehouse
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s CMD ["/gatehouse", "health"]
ENTRYPOINT ["/gatehouse"]
CMD ["serve", "--config", "/etc/gatehouse/gatehouse.yaml"]
