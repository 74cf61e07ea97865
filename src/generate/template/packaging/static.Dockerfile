FROM nginxinc/nginx-unprivileged:1.29-alpine
COPY . /usr/share/nginx/html
EXPOSE 8080
