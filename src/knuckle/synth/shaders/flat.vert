#version 330
// Renders labels alone, or with the projection of a lamp its shadow map.
in vec3 position;
in float label;
uniform mat4 projection;
flat out float value;

void main() {
    value = label;
    gl_Position = projection * vec4(position, 1.0);
}
