FROM node:20-bookworm-slim AS web
WORKDIR /build/web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY web ./
RUN npm run build

FROM python:3.12-slim-bookworm
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY sdk sdk
COPY collector collector
COPY migrations migrations
COPY server server
COPY --from=web /build/server/src/spanhouse_server/_web server/src/spanhouse_server/_web
RUN pip install --no-cache-dir -c constraints.txt ./sdk ./collector '.[all]' && rm -rf /build
RUN useradd --system --create-home spanhouse && install -d -o spanhouse /data
USER spanhouse
VOLUME /data
EXPOSE 4317 4318
CMD ["spanhouse", "serve"]
