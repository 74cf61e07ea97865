FROM node:22-alpine AS build
WORKDIR /app
COPY package.json package-lock.json* ./
RUN if [ -f package-lock.json ]; then npm ci; else npm install; fi
COPY . .
RUN npm run build
# Vite writes dist, a static export of Next.js writes out, Create React App writes build.
RUN for made in dist out build; do if [ -d "$made" ]; then mv "$made" /site && exit 0; fi; done; exit 1

FROM nginxinc/nginx-unprivileged:1.29-alpine
COPY --from=build /site /usr/share/nginx/html
EXPOSE 8080
