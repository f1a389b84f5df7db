#version 330
in vec3 position;
in vec3 normal;
in vec3 local;
uniform mat4 projection;
uniform mat4 to_lamp;
uniform vec3 ambient[9];
out vec3 at;
out vec3 facing;
out vec3 inside;
out vec4 lamp_at;

void main() {
    at = position;
    facing = normal;
    inside = local;
    lamp_at = to_lamp * vec4(position + normal * 0.0012, 1.0);
    gl_Position = projection * vec4(position, 1.0);
}
