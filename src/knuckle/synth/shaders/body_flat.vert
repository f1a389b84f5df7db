#version 330
// Renders a body's labels alone, or with the projection of a lamp its shadow map.
in vec3 position;
in float label;
in vec3 place;
in float kind;
in float arm;
uniform mat4 projection;
flat out float value;
out vec3 here;
out vec2 along;  // arm, kind

void main() {
    value = label;
    here = place;
    along = vec2(arm, kind);
    gl_Position = projection * vec4(position, 1.0);
}
